"""A small shop as a WSGI application: enough different work to make a profile worth looking at.

    gunicorn app:application        or        python3 serve.py
"""
import json
from urllib.parse import parse_qs

import catalog
import pricing
import reports
import storage


def checkout(query):
    customer = storage.load_customer(int(query.get("customer", ["1"])[0]))
    basket = storage.fetch_stock(catalog.pick_basket(customer["id"], 80))
    return {"customer": customer["name"], "total": pricing.price_basket(basket, customer["tier"])}


def search(query):
    words = query.get("q", ["blue kettle"])[0]
    return {"hits": catalog.search_catalog(words)[:10]}


def report(query):
    document = reports.render_report(int(query.get("rows", ["120"])[0]))
    return {"bytes": len(document), "signature": reports.sign_document(document)}


def health(query):
    return {"ok": True, "asked": sorted(query)}


ROUTES = {"/checkout": checkout, "/search": search, "/report": report, "/health": health}


def handle_request(path, query):
    handler = ROUTES.get(path)
    if handler is None:
        return "404 Not Found", {"error": path}
    return "200 OK", handler(parse_qs(query))


def application(environ, start_response):
    status, answer = handle_request(environ.get("PATH_INFO", "/"), environ.get("QUERY_STRING", ""))
    body = json.dumps(answer).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
