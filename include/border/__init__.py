"""Ships to the function: brings compliant events from a site's queue to the lake, exactly once. The DAG `drain` runs the same code."""
