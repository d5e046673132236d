"""A simulated participant whose planted feelings drive the simulated devices."""
