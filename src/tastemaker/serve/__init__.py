"""A saved recommender -> an HTTP API, a conversation and a web page."""
