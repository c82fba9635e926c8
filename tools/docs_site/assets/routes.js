globalThis.SwaggerUIBundle({
  spec: globalThis.openapi,
  dom_id: '#routes',
  docExpansion: 'list',
  // Requests need a running app, and a token for it.
  supportedSubmitMethods: [],
  plugins: [{ wrapComponents: { authorizeBtn: () => () => null } }],
  // Would send the document to another server.
  validatorUrl: null,
});
