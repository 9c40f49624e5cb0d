"""One run as data: what was asked (config), what came out (record), many of them (folders, tables)."""
