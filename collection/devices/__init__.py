"""Eye trackers and cameras: real, simulated, replayed and faulty, behind one protocol."""
