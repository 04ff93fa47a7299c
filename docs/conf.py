project = "tastemaker"
copyright = "the tastemaker authors"
extensions = ["myst_parser"]
html_theme = "pydata_sphinx_theme"
html_title = "tastemaker"
exclude_patterns = ["_build"]
myst_heading_anchors = 3
