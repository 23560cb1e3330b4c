"""evaluations.jsonl: what can't be read is said, and that evaluation alone is made again."""

from tf_gtn.nas import records

ROWS = [{"architecture": f"depth={n}", "seed": 0, "budget": "gtn", "accuracy": 0.5 + n / 8} for n in range(4)]


def test_only_what_is_damaged_is_made_again(tmp_path, capsys):
    records.Records(str(tmp_path)).add(ROWS)
    path = tmp_path / "evaluations.jsonl"
    whole = path.read_bytes()
    assert records.Records(str(tmp_path)).rows == ROWS and path.read_bytes() == whole
    lines = whole.splitlines(keepends=True)
    lines[1], lines[2] = lines[1].replace(b"0.625", b"0.925"), b"{}\n"
    path.write_bytes(b"".join(lines)[:-9])  # a kill while the last was written
    evaluations = records.Records(str(tmp_path))
    said = capsys.readouterr().out.splitlines()
    assert evaluations.rows == ROWS[:1] and path.read_bytes() == lines[0]
    assert [line.removeprefix(f"{path} ") for line in said] == [
        "was changed after it was written: its checksum is another in line 2: it is made again",
        "doesn't fit: it lacks 'architecture' in line 3: it is made again",
    ]
    evaluations.add(ROWS)
    assert path.read_bytes() == whole and evaluations.find("depth=3", 0, "gtn") == ROWS[3]
