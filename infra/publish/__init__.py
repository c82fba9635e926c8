"""Builds the deployment package and publishes it to the function app."""

from __future__ import annotations
