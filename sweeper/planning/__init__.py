"""What a recipe would do and cost, by arithmetic and a few timed steps. Nothing is kept or written."""

from sweeper.planning.cost import CostInfo, cost_info
from sweeper.planning.disk import disk_info, free_bytes
from sweeper.planning.plan import PlanInfo, TrialPlan, plan_info
from sweeper.planning.recipes import RecipeInfo, recipe_infos

__all__ = [
    "CostInfo",
    "PlanInfo",
    "RecipeInfo",
    "TrialPlan",
    "cost_info",
    "disk_info",
    "free_bytes",
    "plan_info",
    "recipe_infos",
]
