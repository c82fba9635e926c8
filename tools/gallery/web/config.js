export const config = Object.freeze({ api: '/api', signIn: 'invite', blobOrigins: [] });
