"""A stream as a query of Spark Structured Streaming: samples go to their device, whose open windows are state that Spark keeps."""
