/** @type {import('next').NextConfig} */
export default {
  poweredByHeader: false,
  // The files of the sessions are read by the code as it is, not as part of a bundle.
  serverExternalPackages: ['@rotor-auth/rotor'],
};
