"""Stand-in for Microsoft Entra ID and AD FS: tokens for service principals."""

from include.standin.entra.urls import create

__all__ = ["create"]
