"""Record a session: devices, recorder, protocol, presenter."""
