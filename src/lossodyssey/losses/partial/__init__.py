"""Losses for labels that tell a part only: classes not annotated, objects one by one."""
