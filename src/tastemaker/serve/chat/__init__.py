"""A person's words and a recommender -> replies, lists and reasons that are true."""
