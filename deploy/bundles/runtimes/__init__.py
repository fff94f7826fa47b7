"""The runtimes: one file each, and one table.

Adding a runtime: one file with a class that has the verbs of `deploy.bundles.runtimes.table.Runtime` and is
built from (artifact path, manifest, batch, threads), and one line in `RUNTIMES`. The vendor's package
is imported inside the constructor, so that the table costs nothing.
"""
