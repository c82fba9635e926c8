"""The former name of the provider of the code, for stacks that were last updated before it moved."""

from __future__ import annotations

from infra.publish.resource import _PackageProvider as _PackageProvider
