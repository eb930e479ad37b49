from tests.audit.databases import new_postgresql, url

__all__ = ["new_postgresql", "url"]
