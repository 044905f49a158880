"""The pipeline as functions: the stages put together, stopping between them at an error, each imported when it runs."""

from kvmc.driver.audit import audit_tree
from kvmc.driver.build import Options, build_site
from kvmc.driver.inputs import site_file
from kvmc.driver.outcome import Outcome
from kvmc.driver.stages import Forget, check_site, plan_site

__all__ = ["Forget", "Options", "Outcome", "audit_tree", "build_site", "check_site", "plan_site", "site_file"]
