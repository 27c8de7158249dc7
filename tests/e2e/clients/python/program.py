"""The client of openapi-python-client: all of it is imported, then it signs in, writes, reads with a filter.

Takes the folder of the package, then address, email, password and content. Prints the contents that were found, as JSON.
"""

import importlib
import json
import pkgutil
import sys

folder, origin, email, password, content = sys.argv[1:]
sys.path.insert(0, folder)

import chinwag_client

for module in pkgutil.walk_packages(chinwag_client.__path__, "chinwag_client."):
    importlib.import_module(module.name)

from chinwag_client.api.authentication import login
from chinwag_client.api.messages import create_messages, read_messages
from chinwag_client.models import Filter, Login, MessageCreate, MessageFilter, TextOperators

# Those who have not signed in yet call with an empty token in their client: `login` takes no other.
client = chinwag_client.Client(base_url=origin, raise_on_unexpected_status=True)
tokens = login.sync(client=client, body=Login(email=email, password=password))
client = chinwag_client.AuthenticatedClient(base_url=origin, token=tokens.data.access_token, raise_on_unexpected_status=True)

created = create_messages.sync(client=client, body=MessageCreate(content=content))
assert created.data.content == content, created

author = Filter.from_dict({"first_name": {"_eq": "Typed"}})
wanted = MessageFilter(content=TextOperators(field_eq=content), user_created=author)
listed = read_messages.sync(client=client, filter_=json.dumps(wanted.to_dict()), sort="-id")
print(json.dumps([message.content for message in listed.data]))
