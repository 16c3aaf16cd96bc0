"""Two repairs to Debian's Ren'Py 8.0.3, made while an image is built. Each must find its place exactly once.

1. Python 3.11 wants syntax tree nodes to end where or after they begin; expressions of screens are put together from nodes
   of different lines.
2. Debian's package does not write compiled scripts. Names of statements then change with every start, and a save opens at
   the game's first line.
"""

import pathlib

ENGINE = pathlib.Path("/usr/share/games/renpy/renpy")


def insert_after(path, anchor, text):
    source = path.read_text(encoding="utf-8")
    if source.count(anchor) != 1:
        raise SystemExit(f"{path}: the place for the repair is there {source.count(anchor)} times")
    path.write_text(source.replace(anchor, anchor + text), encoding="utf-8")


insert_after(
    ENGINE / "sl2" / "slast.py",
    "    ast.fix_missing_locations(expr)\n",
    """
    for part in ast.walk(expr):
        if hasattr(part, "lineno"):
            part.end_lineno = part.lineno
            part.end_col_offset = part.col_offset

""",
)

insert_after(
    ENGINE / "script.py",
    "            pickle_data_after_static_transforms = dumps((data, stmts))\n",
    """
            try:
                with open(fullfn, "rb") as source_file:
                    source_digest = hashlib.md5(source_file.read()).digest()
                with open(rpycfn, "wb") as compiled_file:
                    self.write_rpyc_header(compiled_file)
                    self.write_rpyc_data(compiled_file, 1, pickle_data_before_static_transforms)
                    self.write_rpyc_data(compiled_file, 2, pickle_data_after_static_transforms)
                    self.write_rpyc_md5(compiled_file, source_digest)
            except OSError:
                pass

""",
)
