"""How fast European credentials are made: the documents, their seals, their pages."""
