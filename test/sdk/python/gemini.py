"""One case of the official Google Gen AI Python SDK against BASE_URL, as JSON on stdout.

usage: gemini.py content|tool|stream|embed|count|models|quota|bad_key

The key is in API_KEY. The SDK adds /v1/models/… to its base_url, so that of the
proxy is its address alone. An error of the SDK is a result too: its class, status
and details.
"""

import json
import os
import sys

from google import genai
from google.genai import errors, types


def client(**options):
    options = types.HttpOptions(base_url=os.environ["BASE_URL"].removesuffix("/v1"), **options)
    return genai.Client(api_key=os.environ["API_KEY"], http_options=options)


CLIENT = client()  # it is closed once nobody holds it


def request(directive, **options):
    return {
        "model": "gemini-2.5-flash",
        "contents": f"mock:{directive} Hello",
        "config": types.GenerateContentConfig(max_output_tokens=200, system_instruction="Be brief.", **options),
    }


def told(answer):
    headers = answer.sdk_http_response.headers or {} if answer.sdk_http_response else {}
    headers = {name.lower(): value for name, value in headers.items()}
    usage = answer.usage_metadata
    return {
        "text": answer.text,
        "finish_reason": answer.candidates[0].finish_reason.value,
        "input_tokens": usage.prompt_token_count,
        "cached": usage.cached_content_token_count,
        "thoughts": usage.thoughts_token_count,
        "output_tokens": usage.candidates_token_count,
        "request_id": headers.get("x-request-id"),
        "cost": headers.get("x-tollgate-cost"),
    }


def content():
    return told(CLIENT.models.generate_content(**request("usage=100,50;cached=40;reasoning=10")))


def tool():
    declared = types.FunctionDeclaration(name="weather", description="tells the weather")
    answer = CLIENT.models.generate_content(**request("usage=100,50;tool-call=weather", tools=[types.Tool(function_declarations=[declared])]))
    return {"call": answer.function_calls[0].name, "output_tokens": answer.usage_metadata.candidates_token_count}


def stream():
    text, last = "", None
    for chunk in CLIENT.models.generate_content_stream(**request("usage=100,50;chunks=10")):
        text += chunk.text or ""
        last = chunk
    return {**told(last), "text": text}


def embed():
    answer = CLIENT.models.embed_content(model="gemini-embedding-001", contents=["one text", "another"])
    return {"embeddings": len(answer.embeddings), "dims": len(answer.embeddings[0].values)}


def count():
    return {"tokens": CLIENT.models.count_tokens(model="gemini-2.5-flash", contents="Hello").total_tokens}


def models():
    beta = client(api_version="v1beta")  # /v1/models is OpenAI's
    return {"models": [model.name for model in beta.models.list()], "one": beta.models.get(model="gemini-2.5-flash").name}


def quota():
    return told(CLIENT.models.generate_content(**request("usage=1,1")))


def bad_key():
    return told(CLIENT.models.generate_content(**request("usage=1,1")))


CASES = [content, tool, stream, embed, count, models, quota, bad_key]


def main():
    case = {case.__name__: case for case in CASES}[sys.argv[1]]
    try:
        result = case()
    except errors.APIError as error:
        result = {"error": type(error).__name__, "status_code": error.code, "status": error.status, "body": error.details}
    print(json.dumps(result))


main()
