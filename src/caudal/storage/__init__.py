"""Storage of bytes: a folder, S3, HDFS; Delta commits and Parquet files; nothing about their meaning."""
