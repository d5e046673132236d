"""What a trained run says about clips: predictions with their uncertainty, guesses for annotators, graphs for elsewhere."""
