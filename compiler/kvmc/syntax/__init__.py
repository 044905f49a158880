"""The only place that knows lark: text to tree, with recovery."""
