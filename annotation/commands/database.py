"""``emer annotate database``: one PostgreSQL for all annotators, and who may log in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from data_schema.study import StudyFolder

database = typer.Typer(no_args_is_help=True, help="Keep the labels of all annotators in one PostgreSQL.")
_Study = Annotated[Path, typer.Argument(help="The study folder.")]


@database.command()
def init(study: _Study) -> None:
    """Make the label tables in the database that study.toml names; run it as the lab's role."""
    from annotation.identity import study_identity
    from data_schema.labels.postgres_roles import init_database
    from data_schema.study import find_study

    folder = find_study(study)
    address = _address(folder)
    is_new = init_database(address, study_id=study_identity(folder).study_id, study_title=folder.config.study.title)
    typer.echo(f"{address}: {'tables made' if is_new else 'the tables are there already'}")


@database.command()
def add(
    study: _Study,
    annotator: Annotated[str, typer.Argument(help="Pseudonym of the annotator, such as a01.")],
    kind: Annotated[str, typer.Option(help="human, simulated or model.")] = "human",
    new_password: Annotated[
        bool, typer.Option("--new-password", help="Replace a lost password; the old one is no longer good.")
    ] = False,
) -> None:
    """Let an annotator log in; prints the line for their ~/.pgpass, once."""
    from data_schema.labels.postgres_roles import add_annotator
    from data_schema.study import find_study

    access = add_annotator(_address(find_study(study)), annotator, kind, new_password=new_password)
    typer.echo(access.pgpass_line)
    typer.echo(
        f"The line above goes into ~/.pgpass of {annotator} (chmod 600; Windows: %APPDATA%\\postgresql\\pgpass.conf). "
        "The password is kept nowhere else: hand it over now.",
        err=True,
    )


@database.command("drop-access")
def drop_access(
    study: _Study,
    annotator: Annotated[Optional[str], typer.Option(help="One annotator; default: all.")] = None,  # noqa: UP045
) -> None:
    """Let annotators log in no more. Every label stays."""
    from data_schema.labels.postgres_roles import drop_access as drop
    from data_schema.study import find_study

    dropped = drop(_address(find_study(study)), annotator)
    typer.echo(f"no longer let in: {', '.join(dropped) or 'nobody, since nobody was'}")


def _address(folder: StudyFolder) -> str:
    from data_schema.errors import ConfigError

    address = folder.config.labels.database
    if not address:
        raise ConfigError(
            f"{folder.config_path}: [labels] names no database, so each annotator has a file. To have one for all, "
            'make it on the server (createdb DATABASE) and set database = "postgresql://HOST/DATABASE".'
        )
    return address
