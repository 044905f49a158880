"""The validated site: values, the settings table, the models, and the lowering from the tree."""
