"""Training: one loop for trunk and branch, its schedules, its optimizers."""

from sweeper.training.fused import CannotFuse, Fused
from sweeper.training.lineage import Endpoint, Lineage
from sweeper.training.loop import Diverged, train
from sweeper.training.optimizers import build_optimizer
from sweeper.training.schedules import branch_schedule, trunk_schedule
from sweeper.training.state import load_state, state_of
from sweeper.training.stored import NoTraining, NotStored
from sweeper.training.trainers import Course, NewTrainer, Separate, Trainer

__all__ = [
    "CannotFuse",
    "Course",
    "Diverged",
    "Endpoint",
    "Fused",
    "Lineage",
    "NewTrainer",
    "NoTraining",
    "NotStored",
    "Separate",
    "Trainer",
    "branch_schedule",
    "build_optimizer",
    "load_state",
    "state_of",
    "train",
    "trunk_schedule",
]
