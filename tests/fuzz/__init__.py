"""Coverage-guided fuzzing of the front end. `python -m fuzz.drive --help` says how; CONTRIBUTING.md says with what."""
