"""Alembic without an ini file: make the tables, tell whether they are up to date."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from library.db import Lock, hold
from library.tables import Base

_FOLDER = Path(__file__).parent / "migrations"


def upgrade(engine: Engine) -> None:
    """Bring the database to the newest revision; safe to run again, also at once."""
    with engine.begin() as connection:
        hold(connection, Lock.MIGRATING)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def pending(engine: Engine) -> bool:
    """Tell whether the database lacks a migration."""
    with engine.connect() as connection:
        have = MigrationContext.configure(connection).get_current_heads()
    return set(have) != set(ScriptDirectory.from_config(_config()).get_heads())


def differences(engine: Engine) -> list[object]:
    """List what the tables in the code have and the database does not, or other."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Base.metadata))


def new_revision(engine: Engine, message: str) -> None:
    """Write a migration from the difference between the tables and the database."""
    with engine.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.revision(config, message=message, autogenerate=True)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config
