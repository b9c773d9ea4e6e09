"""Wire shapes of the REST dialect, one file per resource."""
