"""What the annotator sees: small widgets that hold the desk, follow its topics and hand intent on."""
