"""Labels, marks and eye movements as ELAN annotation files (.eaf, format 3.0), and labels back from them."""
