"""European Digital Credentials for Learning (European Learning Model v3).

The document, the certificate's page, the seal, and the issuer that takes it.
"""
