"""The whole story in minutes: a corpus, a proxy, its scores, matches of a few sounds, and a page to listen to."""

from synthproxy.demo.story import run_demo

__all__ = ["run_demo"]
