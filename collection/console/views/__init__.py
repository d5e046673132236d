"""Views of the operator's console: small windows onto ``ConsoleModel``, one file each."""
