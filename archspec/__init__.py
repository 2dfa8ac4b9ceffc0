"""archspec: one text for a vision backbone, its exact cost, its module, and a search."""
