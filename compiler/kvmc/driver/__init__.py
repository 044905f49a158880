"""The pipeline as functions: the stages put together, stopping between them at an error.

inputs reads, stages compiles, build writes, audit reads a tree back. Each stage is imported when it runs: a check pays for no
target.
"""
