-- Where a run began, a batch's digest in the outbox, and why letters were lost.

ALTER TABLE head RENAME TO head_1;
ALTER TABLE partitions RENAME TO partitions_1;
ALTER TABLE dead RENAME TO dead_1;
ALTER TABLE dead_lost RENAME TO dead_lost_1;

-- The topic at the last commit, and what all other rows add up to. One row.
CREATE TABLE head (
    id INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    commits INTEGER NOT NULL,
    from_end INTEGER NOT NULL,
    began_with INTEGER,
    watermark INTEGER,
    closed_until INTEGER,
    newest INTEGER,
    oldest_open INTEGER,
    open_windows INTEGER NOT NULL,
    distinct_sensors INTEGER NOT NULL,
    first_window INTEGER,
    last_window INTEGER,
    dropped_windows INTEGER NOT NULL,
    windows INTEGER NOT NULL,
    windows_sum INTEGER NOT NULL,
    partitions INTEGER NOT NULL,
    partitions_sum INTEGER NOT NULL,
    groups INTEGER NOT NULL,
    groups_sum INTEGER NOT NULL,
    ranges INTEGER NOT NULL,
    ranges_sum INTEGER NOT NULL,
    gaps INTEGER NOT NULL,
    gaps_sum INTEGER NOT NULL,
    sensors INTEGER NOT NULL,
    sensors_sum INTEGER NOT NULL,
    members INTEGER NOT NULL,
    dead INTEGER NOT NULL,
    dead_sum INTEGER NOT NULL,
    dead_first INTEGER NOT NULL,
    dead_next INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    lost_sum INTEGER NOT NULL,
    lost_next INTEGER NOT NULL,
    "check" INTEGER NOT NULL
) STRICT;

-- Partitions, with the counts of their accounts.
CREATE TABLE partitions (
    partition INTEGER PRIMARY KEY,
    start INTEGER NOT NULL,
    merged INTEGER NOT NULL,
    refill INTEGER NOT NULL,
    watermark INTEGER,
    last_first INTEGER,
    last_digest INTEGER,
    account INTEGER NOT NULL,
    read INTEGER NOT NULL,
    counted INTEGER NOT NULL,
    late INTEGER NOT NULL,
    not_json INTEGER NOT NULL,
    missing_field INTEGER NOT NULL,
    wrong_type INTEGER NOT NULL,
    unknown_group INTEGER NOT NULL,
    bad_time INTEGER NOT NULL,
    out_of_range INTEGER NOT NULL,
    future INTEGER NOT NULL,
    replayed INTEGER NOT NULL,
    late_ranges INTEGER NOT NULL,
    late_unlisted INTEGER NOT NULL,
    rejected_ranges INTEGER NOT NULL,
    rejected_unlisted INTEGER NOT NULL,
    gaps INTEGER NOT NULL,
    "check" INTEGER NOT NULL
) STRICT;

-- The outbox: batches of which some readings are to be copied to the dead letters.
CREATE TABLE dead (
    id INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    first INTEGER NOT NULL,
    next INTEGER NOT NULL,
    digest INTEGER,
    late BLOB NOT NULL,
    records INTEGER NOT NULL,
    "check" INTEGER NOT NULL
) STRICT;

-- Where those stood that could not be copied. Cause 0: the log's retention had cut them; 1: the broker of their topic takes none so large.
CREATE TABLE dead_lost (
    id INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    cause INTEGER,
    first INTEGER NOT NULL,
    next INTEGER NOT NULL,
    batches INTEGER NOT NULL,
    records INTEGER NOT NULL,
    "check" INTEGER NOT NULL
) STRICT;
