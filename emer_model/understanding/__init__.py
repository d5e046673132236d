"""What a run rests on: modalities, features, people."""
