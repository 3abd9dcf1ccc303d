"""Recipes: published studies as experiment files with parameters, packaged as YAML beside this module."""

from sprachbund.recipes.recipe import Parameter, Recipe, known_recipes, recipe

__all__ = ["Parameter", "Recipe", "known_recipes", "recipe"]
