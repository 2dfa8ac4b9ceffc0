"""The exam, by parts: published families on its budget, its folder, its sittings, its table."""
