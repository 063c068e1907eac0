"""What can be run, and what it would cost: list, plan."""

from sweeper.commands.request import (
    STORAGE,
    RecipeArgument,
    ScaleOption,
    SeedOption,
    SetOption,
    StorageOption,
    TrialsOption,
    build_recipe,
    one_line,
    run_path,
)


def list_recipes() -> None:
    """List the recipes: name, figure, cost at each scale, and whether this version runs them.

    Example: sweeper list
    """
    from sweeper.commands import console
    from sweeper.planning import recipe_infos

    console.show_recipes(recipe_infos())


def plan(
    recipe: RecipeArgument,
    scale: ScaleOption = None,
    set_: SetOption = None,
    trials: TrialsOption = None,
    seed: SeedOption = None,
    storage: StorageOption = STORAGE,
) -> None:
    """Check a recipe and print what it would cost; train nothing.

    Example: sweeper plan fig1 --scale paper --set train/momentum=0.5
    """
    from sweeper.commands import console
    from sweeper.planning import cost_info, disk_info, free_bytes, plan_info

    chosen = build_recipe(recipe, scale, set_, trials, seed)
    path = run_path(chosen, storage)
    info = plan_info(chosen)
    with one_line():
        disk = disk_info(info)
    console.show_plan(info, cost_info(info), disk, free_bytes(storage), path)
