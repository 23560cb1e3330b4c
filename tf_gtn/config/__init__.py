"""gin: what can be configured, and no configuration that does nothing."""
