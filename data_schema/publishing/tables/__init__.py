"""Published tables: Parquet in the layout of the Hugging Face hub, CSV with a codebook."""
