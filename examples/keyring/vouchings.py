#!/usr/bin/env python3
"""Reads Debian's keyrings as a record of who vouched for whom, and writes CSV: instant, advocate, friend.

    examples/keyring/vouchings.py KEYRING.gpg... > vouchings.csv

A person is a primary key; a signature of somebody else's name vouches for them, the earliest one of each pair. Ids are
hashed. What the record comes to is printed to standard error.
"""
import datetime
import hashlib
import subprocess
import sys
import tempfile

# Generic to positive certifications.
VOUCHES = {"10", "11", "12", "13"}


def rows(keyring):
    with tempfile.TemporaryDirectory() as home:
        command = ["gpg", "--homedir", home, "--batch", "--no-default-keyring", "--keyring", keyring, "--with-colons", "--list-sigs"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        for line in done.stdout.decode(errors="replace").splitlines():
            yield line.split(":")


def main():
    person = {}  # key id, of subkeys too, to primary key
    signed = []  # primary key, key id of who signed, when
    for keyring in sys.argv[1:]:
        primary, names = None, False
        for row in rows(keyring):
            if row[0] == "pub":
                primary, names = row[4], False
                person[primary] = primary
            elif row[0] == "sub":
                person[row[4]], names = primary, False
            elif row[0] == "uid":
                names = True
            elif row[0] == "sig" and names and row[10][:2] in VOUCHES and row[5]:
                signed.append((primary, row[4], int(row[5])))
    first = {}
    for friend, key, at in signed:
        advocate = person.get(key)
        if advocate and advocate != friend:
            pair = (advocate, friend)
            first[pair] = min(at, first.get(pair, at))

    def name(key):
        return hashlib.sha256(key.encode()).hexdigest()[:16]

    record = sorted((at, name(advocate), name(friend)) for (advocate, friend), at in first.items())
    print("instant,advocate,friend")
    for at, advocate, friend in record:
        instant = datetime.datetime.fromtimestamp(at, datetime.timezone.utc)
        print(f"{instant:%Y-%m-%dT%H:%M:%SZ},{advocate},{friend}")
    people = len(set(person.values()))
    print(f"{people} people, {len(record)} signatures of one another", file=sys.stderr)


main()
