"""Customers: a few threads that ask the shop for things, with a pause between.

    load.py PORT
"""
import http.client
import random
import sys
import threading
import time

CUSTOMERS = 5
PAUSE_SECONDS = 0.015


def choose_path(chance):
    roll = chance.random()
    if roll < 0.5:
        return f"/checkout?customer={chance.randint(1, 500)}"
    if roll < 0.8:
        return "/search?q=" + chance.choice(["blue+kettle", "copper+clock", "folding+chair"])
    return f"/report?rows={chance.choice([120, 240, 400])}"


def ask_shop(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def visit_shop(port, number):
    chance = random.Random(number)
    while True:
        try:
            ask_shop(port, choose_path(chance))
        except (OSError, http.client.HTTPException):
            time.sleep(0.2)
        time.sleep(PAUSE_SECONDS)


def main():
    port = int(sys.argv[1])
    for number in range(CUSTOMERS):
        threading.Thread(target=visit_shop, args=(port, number), name=f"customer-{number}", daemon=True).start()
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
