"""Face backbones and the features that they make of face frames."""
