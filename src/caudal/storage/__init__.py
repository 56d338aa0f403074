"""Where bytes lie: a folder, S3, HDFS; Delta commits and Parquet files; nothing about what they mean."""
