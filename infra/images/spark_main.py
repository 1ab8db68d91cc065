"""`python -m spark_jobs` as a file, which is what Spark starts a driver from: in the room's own folder `delta` would be ours."""

import runpy

if __name__ == "__main__":
    runpy.run_module("spark_jobs", run_name="__main__", alter_sys=True)
